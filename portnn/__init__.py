"""portnn: neural networks on the Python Array API standard."""
