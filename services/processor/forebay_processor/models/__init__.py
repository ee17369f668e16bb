"""Data that several layers speak of."""
