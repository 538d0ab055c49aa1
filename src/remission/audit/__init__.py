"""A model of unknown origin: opened, purified, and its safety measured without the trigger."""
