"""The model card: metadata that the Hugging Face Hub reads, and the same numbers."""

import pathlib

import pytest
from huggingface_hub import ModelCard
from sklearn import metrics as sklearn

from pneumo_jax import trained
from pneumo_jax.data import medmnist
from pneumo_jax.reporting import card, report, sources

SECTIONS = (
    'What it is',
    'Intended use',
    'Out-of-scope use',
    'Data',
    'Training',
    'Evaluation',
    'Limitations',
    'How to use',
)


@pytest.mark.parametrize('name', ['one', 'several', 'classes'])
def test_the_metadata_are_read_back(folder: pathlib.Path, name: str) -> None:
    found = ModelCard.load(folder / name / 'report' / report.CARD)
    (logits,), labels = trained.predictions([folder / name], 'test')
    results = {result.metric_name: result for result in found.data.eval_results}
    accuracy = sklearn.accuracy_score(labels, logits.argmax(1))
    assert results['accuracy'].metric_value == pytest.approx(accuracy)
    assert results['accuracy'].metric_args['n'] == len(labels)
    low, high = results['accuracy'].metric_args['interval_95']
    assert low <= accuracy <= high
    if name != 'classes':
        auroc = sklearn.roc_auc_score(labels, logits[:, 1] - logits[:, 0])
        assert results['AUROC'].metric_value == pytest.approx(auroc)
        assert results['AUROC'].dataset_split == 'test'
    assert 'not-a-medical-device' in found.data.tags
    for title in SECTIONS:
        assert f'\n## {title}\n' in found.content


def test_data_whose_licence_is_not_known_have_none_invented(folder: pathlib.Path) -> None:
    found = ModelCard.load(folder / 'classes/report' / report.CARD)
    assert found.data.license == 'other'
    assert not found.data.datasets
    assert 'cite' not in found.text


def test_licences_are_those_of_medmnist() -> None:
    for flag in medmnist.known_flags():
        known = sources.of(flag, '', synthetic=False)
        assert sources.licence(known) == medmnist._info()[flag]['license']


def test_text_from_data_stays_text() -> None:
    assert card.plain('<b>x</b> | `y`\n[z]') == '&lt;b&gt;x&lt;/b&gt; \\| \\`y\\` \\[z\\]'
