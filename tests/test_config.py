import json
import pathlib

import pytest

from pneumo_jax import config, errors, fields

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / 'configs').glob('*.py') if page.stem != 'common')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
@pytest.mark.parametrize('form', ['', ':28', ':64', ':smoke'])
def test_every_page_loads_in_every_form(page: pathlib.Path, form: str) -> None:
    loaded = config.load(f'{page}{form}')
    if form == ':smoke':
        assert loaded.data.name == 'synthetic'
    elif form:
        assert loaded.data.size == int(form[1:])
    elif page.stem != 'quickstart':
        assert loaded.data.size == 224


def test_every_model_has_a_page() -> None:
    names = {config.load(f'{page}:{form}').model.name for page in PAGES for form in ('28', '224')}
    assert names == set(fields.MODELS)


def test_the_notebook_recipe_has_everything_else_off() -> None:
    page = config.load(str(ROOT / 'configs/cnn.py'))
    assert (page.optim.name, page.optim.lr, page.batch_size, page.epochs) == ('adam', 1e-3, 32, 10)
    off = ('warmup_epochs', 'weight_decay', 'clip_norm', 'ema', 'swa', 'sam')
    assert not any(page.optim[field] for field in off)
    assert not any(page.augment.values())
    assert page.optim.schedule == 'constant'
    assert page.seeds == page.optim.layer_decay == 1


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'optim.ema': '0.99', 'optim.swa': '0.5'}, 'both average'),
        ({'seeds': '2', 'weights': 'best'}, 'holds all seeds'),
        ({'standardise': 'True', 'pretrained.source': 'a.safetensors'}, 'from random weights'),
        ({'finetune.mode': 'probe', 'originals': 'large.npz'}, 'trains nothing'),
        ({'model.name': 'resnet18', 'model.width': '0'}, 'model.width=0 must be above 0'),
        ({'data.val': 'conflicting', 'originals': '56'}, 'one of them alone'),
        ({'pretrained.sha256': '00'}, 'give both or none'),
    ],
)
def test_what_cannot_go_together_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(errors.UserError, match=message):
        config.load(str(ROOT / 'configs/cnn.py'), fields)


@pytest.mark.parametrize(
    ('field', 'text', 'value'),
    [
        ('seed', '7', 7),
        ('optim.lr', '1', 1.0),
        ('optim.lr', '3e-4', 3e-4),
        ('data.path', '123', '123'),
        ('model.features', '8,16,32', (8, 16, 32)),
        ('model.features', '8', (8,)),
        ('model.kernel', '7', 7),
    ],
)
def test_overrides_take_the_type_of_the_field(field: str, text: str, value: object) -> None:
    loaded = config.load(str(ROOT / 'configs/cnn.py'), {field: text})
    found = config.flatten(loaded)[field]
    assert found == value
    assert type(found) is type(value)


def test_another_model_has_nothing_of_the_model_of_the_page() -> None:
    page = str(ROOT / 'configs/best.py:64')
    own, other = config.load(page), config.load(page, {'model.name': 'vit', 'model.depth': '3'})
    assert own.model.stem_stride == 2
    assert other.model.to_dict() == config.defaults('vit').model.to_dict() | {'depth': 3}
    assert other.augment == own.augment


def test_another_model_brings_its_own_fields() -> None:
    loaded = config.load(str(ROOT / 'configs/cnn.py:28'), {'model.name': 'vit', 'model.patch': '4'})
    assert loaded.model.patch == 4
    assert 'features' not in loaded.model


@pytest.mark.parametrize(
    ('field', 'text', 'message'),
    [
        ('optm.lr', '1', "did you mean 'optim.lr'"),
        ('model.patch', '4', 'unknown config field'),
        ('model.name', 'resnt18', "did you mean 'resnet18'"),
        ('batch_size', '3.5', 'float; int is needed'),
        ('batch_size', '0', 'out of range'),
        ('optim.lr', 'fast', 'float is needed'),
        ('optim.lr', 'nan', 'float is needed'),
        ('seed', '-1', 'out of range'),
        ('seed', 'True', 'bool; int is needed'),
        ('weights', 'bst', "did you mean 'best'"),
        ('model.kernel', '4', 'must be odd'),
        ('model.features', '8,0', 'out of range: 1 to 65536'),
        ('model.features', '8,True,1.5', 'positive whole numbers'),
        ('model.features', '()', 'positive whole numbers'),
        ('model.dtype', 'float16', 'Allowed: float32, bfloat16'),
        ('optim', '3', 'unknown config field'),
        ('optim.lr', '1' * 401, 'out of range'),
        ('optim.lr', '{[]:1}', 'float is needed'),
        ('optim.lr', '-' * 5000 + '1', 'float is needed'),
        ('model.hidden', '0', 'out of range'),
        ('model.kernel', '-3', 'out of range'),
        ('augment.sharpness', '5', 'out of range: 0 to 1'),
        ('model.features', '9' * 25, 'out of range: 1 to 65536'),
        ('model.features', f'(8, {10**7})', 'out of range: 1 to 65536'),
        ('seed', '0x' + 'f' * 5000, 'out of range'),
        ('model.features', '0x' + 'f' * 5000, 'out of range'),
        ('weights', '0x' + 'f' * 5000, 'unknown weights'),
    ],
)
def test_a_mistake_is_told_in_one_line(field: str, text: str, message: str) -> None:
    with pytest.raises(errors.UserError, match=message) as caught:
        config.load(str(ROOT / 'configs/cnn.py'), {field: text})
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('page', 'message'),
    [
        ('configs/vit.py:27', "'27' is not one of 28, 64, 128, 224 and smoke"),
        ('configs/vitt.py', "did you mean 'configs/vit.py'"),
        ('nowhere/vit.py', 'no config page at'),
        ('README.md', 'not a config page'),
        ('configs', 'is a folder'),
    ],
)
def test_a_page_that_is_not_there(page: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(errors.UserError, match=message):
        config.load(page)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('def get_config(:', 'SyntaxError'),
        ('x = 1', 'get_config'),
        ('def get_config(): return {"sed": 1}', "did you mean 'seed'"),
        ('def get_config(): return {"seed": "1"}', 'int is needed'),
        ('import nothing_of_the_kind', 'ModuleNotFoundError'),
        ('import sys; sys.exit(0)', 'SystemExit'),
        ('def get_config(): return {"model": {"name": ["cnn"]}}', 'unknown model'),
    ],
)
def test_a_broken_page(text: str, message: str, tmp_path: pathlib.Path) -> None:
    page = tmp_path / 'mine.py'
    page.write_text(text)
    with pytest.raises(errors.UserError, match=message):
        config.load(str(page))


def test_json_and_back() -> None:
    loaded = config.load(str(ROOT / 'configs/cnn.py:28'))
    assert json.loads(json.dumps(config.to_json(loaded)))['model']['features'] == [16, 32]


def test_a_run_is_named_after_its_page() -> None:
    assert config.run_name('configs/vit.py:28') == 'vit-28'
    assert config.run_name('a/b/mine.py') == 'mine'
