"""One file for each seller: an `ADAPTER` that translates, named like its price file.

Adding a seller is a file here and a file in ``data/prices``; see ``docs/adding-a-provider.md``.
"""
