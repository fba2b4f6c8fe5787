"Fills in what pyproject.toml leaves dynamic from settings.ini, and ships the workflow notebooks with the modules."
from configparser import ConfigParser
from pathlib import Path
from shutil import copy2

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
settings = ConfigParser(delimiters=["="], comment_prefixes=["#"], interpolation=None)
settings.read(here / "settings.ini", encoding="utf-8")
meta, extras = settings["DEFAULT"], settings["extras"]
package = meta["lib_path"]


def lines(text: str) -> list[str]: return [line.strip() for line in text.splitlines() if line.strip()]


class BuildWithNotebooks(build_py):
    "Copies `nbs/workflows` beside the modules that those notebooks export: the wheel runs what the repository runs."
    def run(self) -> None:
        super().run()
        if self.editable_mode: return  # an editable install reads them where they are
        target = Path(self.build_lib) / package / "workflows"
        target.mkdir(parents=True, exist_ok=True)
        for notebook in sorted((here / "nbs" / "workflows").glob("*.ipynb")): copy2(notebook, target)


setup(
    name=meta["name"],
    version=meta["version"],
    description=meta["description"],
    author=meta["author"],
    author_email=meta["author_email"],
    keywords=meta["keywords"].split(),
    license=meta["license"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=f">={meta['min_python']}",
    packages=find_packages(include=[package, f"{package}.*"]),
    package_data={package: ["py.typed"]},
    install_requires=lines(meta["requirements"]),
    extras_require={name: lines(extras[name]) for name in extras if name not in settings.defaults()},
    entry_points={
        "console_scripts": lines(meta["console_scripts"]),
        "jupyter_client.kernel_provisioners": lines(meta["kernel_provisioners"]),
        "papermill.engine": lines(meta["papermill_engines"]),
        "nbdev": [f"{package}={package}._modidx:d"],
    },
    cmdclass={"build_py": BuildWithNotebooks},
)
