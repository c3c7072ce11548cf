"""What holds for every test: the conformance suites tell what was wrong as a test's own file does."""

import pytest

pytest.register_assert_rewrite("tests.conformance.store", "tests.conformance.proof")
