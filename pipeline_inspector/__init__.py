"""A live, visual debugger of Django's request pipeline."""

__version__ = "0.1.0"
