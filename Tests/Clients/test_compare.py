"""The same calls to Apache Kafka and to Martlet; see compare.py."""

import compare
import pytest


@pytest.mark.xfail(reason="not every difference that compare.py finds has been judged yet")
def test_answers_are_those_of_kafka():
    if not (script := compare.find_kafka()):
        pytest.skip("there is no Apache Kafka to compare with; MARTLET_KAFKA may name its script")
    assert compare.compare(script) == []
