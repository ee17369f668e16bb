"""What the receiver does with a request, whatever carried it."""
