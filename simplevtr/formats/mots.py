"""How MOTS numbers objects, in the pixels of its 16-bit PNGs and in its text files."""

NUMBERS = 1000  # an identity is 1000 * class + instance; 0 is background
MOST_CLASSES = (2**16 - 1) // NUMBERS  # that a 16-bit PNG has room for: 65
