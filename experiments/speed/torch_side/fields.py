"""The fields of config.model that torch's models are built with. Needs no torch."""

from typing import Any

# The only form in which torchvision's are compared.
PUBLIC: dict[str, dict[str, Any]] = {
    'resnet18': {'blocks': [2, 2, 2, 2], 'width': 64},
    'resnet50': {'blocks': [3, 4, 6, 3], 'width': 64},
    'se_resnet18': {'blocks': [2, 2, 2, 2], 'width': 64},
    'se_resnet50': {'blocks': [3, 4, 6, 3], 'width': 64},
    'densenet121': {'blocks': [6, 12, 24, 16], 'growth': 32},
    'convnext_tiny': {'blocks': [3, 3, 9, 3], 'dims': [96, 192, 384, 768]},
}
OFF = {'drop_path': 0.0, 'layer_scale': False}  # what is compared without it


def taken(model: dict[str, Any]) -> dict[str, Any]:
    """The fields that the builder of `model` takes.

    Raises:
        ValueError: a form of it that torch's own does not have.
    """
    name = model['name']
    fields = {key: value for key, value in model.items() if key not in ('name', 'dtype')}
    for key, off in OFF.items():
        if fields.pop(key, off) != off:
            raise ValueError(f"torch's {name} is compared with {key}={off}, not {model[key]}.")
    if name not in PUBLIC:
        return fields
    if {**PUBLIC[name], **fields} != PUBLIC[name]:
        raise ValueError(f"torch's {name} is the public one, {PUBLIC[name]}, not {fields}.")
    return {}
