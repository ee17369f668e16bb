"""What a request is answered: who may, how much at once, and what is read."""
