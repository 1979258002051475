"""How the contenders are measured: in processes of their own, checked first, then taking turns."""
