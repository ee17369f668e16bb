"""What the operator does: the queue, the reconciler, tables, pools and the workers over them."""
