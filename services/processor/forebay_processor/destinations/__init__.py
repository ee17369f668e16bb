"""Where items go: one module or package for each kind, behind one port."""
