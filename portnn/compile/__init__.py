"""Plans: programs made ready to be carried out again and again without Python between the calls."""

__all__: list[str] = []
