"""How often the gate is wrong: about versions of known health, in its tests, and night after night."""
