"""How MOTS numbers objects, in the pixels of its 16-bit PNGs and in its text files."""

from collections.abc import Iterable

NUMBERS = 1000  # an identity is 1000 * class + instance; 0 is background
MOST_CLASSES = (2**16 - 1) // NUMBERS  # that a 16-bit PNG has room for: 65


def check_classes(option: str, labels: Iterable[int]) -> None:
    """ValueError if a PNG has no room for one of a model's labels."""
    if outside := [label for label in labels if not 0 <= label < MOST_CLASSES]:
        found = f"MOTS pictures hold the first {MOST_CLASSES} classes, not label {outside[-1]}"
        raise ValueError(f"{option}: {found}; name those that are wanted with demo --classes")
