"""
What ``scripts/release-check`` looks at before a release. No part of the package; see CONTRIBUTING.md for the steps.

``rules`` decides and touches nothing, ``interpreters`` finds CPythons, ``checks`` looks and builds.
"""
