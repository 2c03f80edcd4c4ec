from severstal_prep.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
