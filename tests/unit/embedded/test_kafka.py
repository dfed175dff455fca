"""What Kafka's own tools take."""

from overread.embedded.kafka import new_cluster_id


def test_a_cluster_s_id_is_never_taken_for_an_option() -> None:
    """One random ID in 64 begins with a hyphen, and the first start failed of it."""
    drawn = iter([b"\xf8" + bytes(15), b"\xfb" + bytes(15), b"\x04" + bytes(15)])

    cluster_id = new_cluster_id(lambda: next(drawn))

    assert cluster_id == "BAAAAAAAAAAAAAAAAAAAAA"
