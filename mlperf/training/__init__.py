"""How fits are carried out: engines that take the same steps, and the training of many networks at once."""
