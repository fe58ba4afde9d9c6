"""The conditional GAN: networks, losses, the loop of training and its checkpoints. Only this package imports torch."""
