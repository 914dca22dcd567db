// What worldmodel/static/player offers, as device.ts uses it: the modules are loaded once a world is played here.
export {};
