"""Compute principal components of a table of measurements, with labels, ready to be scored.

    python examples/table_pca.py Data_Cortex_Nuclear.csv --measured "*_N" \
        --labels Genotype Treatment Behavior --donor MouseID
    disentmetrics score --codes codes.csv --groups donor

Missing measurements are replaced by the column's median; labels are unchanged.
"""

import argparse
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def read(path: Path) -> pl.DataFrame:
    if path.suffix == ".xlsx":
        return pl.read_excel(path)
    first_line = path.read_text(encoding="utf-8").partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    return pl.read_csv(path, separator=separator, infer_schema_length=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--measured", nargs="+", required=True, help="columns, or patterns such as '*_N'")
    parser.add_argument("--labels", nargs="+", required=True, help="columns to score the components against")
    parser.add_argument("--donor", help="column of row names DONOR_REPEAT, so that repeats stay together")
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("codes.csv"))
    options = parser.parse_args()

    table = read(options.table)
    measured = [name for name in table.columns if any(fnmatchcase(name, p) for p in options.measured)]
    pipeline = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        PCA(min(options.components, len(measured)), random_state=0),
    )
    components = pipeline.fit_transform(table.select(measured).to_numpy())

    codes = pl.DataFrame(components, schema=[f"PC{j}" for j in range(1, components.shape[1] + 1)])
    labels = table.select(options.labels)
    if options.donor:
        donor = pl.col(options.donor).str.split("_").list.first().alias("donor")
        labels = labels.with_columns(table.select(donor))
    pl.concat([codes, labels], how="horizontal").write_csv(options.out)
    explained = pipeline[-1].explained_variance_ratio_.sum()
    print(f"{options.out}: {len(table)} rows, {components.shape[1]} components ({explained:.0%} of the variance)")


if __name__ == "__main__":
    main()
