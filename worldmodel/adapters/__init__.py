"""World models that play from pixels: architectures of open models behind :mod:`worldmodel.protocol`."""
