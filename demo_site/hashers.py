"""A password hasher that is quick on purpose: the demo's passwords are public."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class DemoHasher(PBKDF2PasswordHasher):
    """Django's default hasher with few rounds."""

    algorithm = "demo_pbkdf2"
    iterations = 2000
