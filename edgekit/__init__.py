"""EdgeKit: small models on the device in someone's hand, quantized and offline.

`import edgekit` loads no engine and no exporter; both are reached when they are needed.
"""

__version__ = "0.1.0"
