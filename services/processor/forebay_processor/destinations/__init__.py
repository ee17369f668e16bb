"""Where items go: one small module for each kind, behind one port."""
