"""The dashboard's pages: widgets in, answers out; nothing is computed here."""
