"""How many servers a promise needs, and how long people wait."""
