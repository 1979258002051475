"""The functions of the Array API standard, differentiable."""
