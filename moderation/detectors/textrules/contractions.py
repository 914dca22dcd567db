"""Short forms of spoken English, and what they stand for."""

CONTRACTIONS = {
    "i'm": "i am", "im": "i am", "i'll": "i will", "i'd": "i would", "i've": "i have", "we're": "we are",
    "we'll": "we will", "we've": "we have", "you're": "you are", "youre": "you are", "you'll": "you will",
    "gonna": "going to", "gunna": "going to", "imma": "i am going to", "i'ma": "i am going to",
    "ima": "i am going to", "finna": "going to", "boutta": "about to",
    "wanna": "want to", "u": "you", "ur": "your", "ya": "you", "yall": "you", "y'all": "you",
    "urself": "yourself",
    "won't": "will not", "wont": "will not", "don't": "do not", "dont": "do not", "can't": "can not",
    "wouldn't": "would not", "couldn't": "could not", "didn't": "did not", "shouldn't": "should not",
    "let's": "let us", "ya'll": "you", "l": "i", "l'll": "i will", "l'm": "i am", "1'm": "i am",
    "1'll": "i will", "what's": "what is", "👻": "snapchat",
}  # fmt: skip
