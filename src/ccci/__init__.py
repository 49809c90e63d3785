"""ccci plays Co-op Cloud recipes through their whole life and says whether a pull request is safe to merge."""
