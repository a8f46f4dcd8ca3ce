"""The first run: a small convolutional net on PneumoniaMNIST at 28 px.

    python -m pneumo_jax.main --config configs/quickstart.py

Where the data are neither on the disk nor to be had from the network, this page alone goes on with
drawn phantom radiographs, and every output of the run says "synthetic".
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '28') -> ConfigDict:
    config = common.form(form, 'cnn')
    config.data.fallback = 'synthetic'
    if form != 'smoke':
        config.update({'batch_size': 64, 'epochs': 5})
    return config
