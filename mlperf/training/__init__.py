"""How one fit is carried out: engines that take the same steps, and many networks at once."""
