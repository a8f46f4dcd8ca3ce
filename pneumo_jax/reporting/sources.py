"""What is known of a data set beyond its images: where from, of whom, under which licence."""

from typing import NamedTuple


class Source(NamedTuple):
    """`licence` is an identifier of the Hugging Face Hub; `name` that of the set there, or ''."""

    name: str
    licence: str
    origin: str
    population: str
    citations: tuple[str, ...]


MEDMNIST = (
    'Yang J, Shi R, Wei D, Liu Z, Zhao L, Ke B, Pfister H, Ni B. MedMNIST v2 - A large-scale '
    'lightweight benchmark for 2D and 3D biomedical image classification. Scientific Data 10:41, '
    '2023. doi:10.1038/s41597-022-01721-8'
)
KERMANY = (
    'Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by '
    'image-based deep learning. Cell 172(5):1122-1131, 2018. doi:10.1016/j.cell.2018.02.010'
)
NON_COMMERCIAL = ('dermamnist',)
UNKNOWN = 'not recorded: find out before the model is used on anyone'
LICENCES = {'cc-by-4.0': 'CC BY 4.0', 'cc-by-nc-4.0': 'CC BY-NC 4.0'}


def of(official: str, title: str, synthetic: bool) -> Source:
    """What is known of the MedMNIST set `official`, or of other data where that is ''."""
    if synthetic:
        origin = 'phantoms drawn by this package'
        return Source('', 'other', origin, 'nobody: no image is of a patient', ())
    if not official:
        return Source('', 'other', f'files given by the user ({title})', UNKNOWN, ())
    licence = 'cc-by-nc-4.0' if official in NON_COMMERCIAL else 'cc-by-4.0'
    if official != 'pneumoniamnist':
        return Source('medmnist-v2', licence, 'MedMNIST v2', UNKNOWN, (MEDMNIST,))
    return Source(
        'medmnist-v2',
        licence,
        'MedMNIST v2, from the chest radiographs of Kermany et al. 2018',
        "children of one to five years, of one hospital: Guangzhou Women and Children's Medical "
        'Center; anterior-posterior radiographs taken in routine care',
        (MEDMNIST, KERMANY),
    )


def licence(source: Source) -> str:
    """The licence in words."""
    return LICENCES.get(source.licence, 'not known')
