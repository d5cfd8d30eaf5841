"""The encoder of Burgess et al. (2018) for 64x64 images, as a module file for the ``torch:`` scheme.

    disentmetrics score "torch:burgess_encoder.py:grey?weights=model.pt&prefix=encoder.&layout=NCHW\
&range=0..1&select=interleaved" --data dsprites

Names and order of the outputs are those of https://github.com/YannDubs/disentangling-vae (MIT):
``prefix=encoder.`` selects the encoder of the complete model, and the last layer returns mean, log-variance,
mean, log-variance, ..., hence ``select=interleaved``.
"""

from torch import Tensor, nn


class BurgessEncoder(nn.Module):
    """Four convolutions, two hidden layers, and two outputs per latent."""

    def __init__(self, n_channels: int, n_codes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, 32, kernel_size=4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 32, kernel_size=4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, kernel_size=4, stride=2, padding=1)
        self.conv_64 = nn.Conv2d(32, 32, kernel_size=4, stride=2, padding=1)
        self.lin1 = nn.Linear(32 * 4 * 4, 256)
        self.lin2 = nn.Linear(256, 256)
        self.mu_logvar_gen = nn.Linear(256, 2 * n_codes)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (batch, channels, 64, 64) in [0, 1]."""
        hidden = images
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv_64):
            hidden = convolution(hidden).relu()
        hidden = self.lin2(self.lin1(hidden.flatten(1)).relu()).relu()
        codes: Tensor = self.mu_logvar_gen(hidden)
        return codes


def grey() -> BurgessEncoder:
    """Build the encoder for images with one channel, such as dSprites."""
    return BurgessEncoder(n_channels=1)


def colour() -> BurgessEncoder:
    """Build the encoder for images with three channels."""
    return BurgessEncoder(n_channels=3)
