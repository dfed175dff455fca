"""Results over TLS: the receiver is known by its certificate, and so are we where it asks."""

import asyncio
import ssl
from pathlib import Path

import pytest

from overread.contracts.errors import Unavailable
from overread.delivery.hl7_sender import MllpChannel
from overread.delivery.sending import Patience, Taken
from tests.builders.delivery import a_destination, an_outbound_row
from tests.fakes.mllp_lines import Authority
from tests.unit.delivery.test_hl7_sender import Peer, an_ack, control_id_of

PATIENT = Patience(
    connect_seconds=5,
    acknowledgment_seconds=5,
    first_retry_seconds=1,
    longest_retry_seconds=1,
    longest_refusal_seconds=1,
)


def a_server(receivers: Authority, senders: Authority) -> ssl.SSLContext:
    """Return a receiver's context that asks for a certificate of `senders`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=senders.root)
    context.load_cert_chain(*receivers.issue("receiver"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def send_one(context: ssl.SSLContext, **files: Path) -> object:
    """Send one message to a listener with that context, by the files that a destination names."""
    peer = Peer(lambda message, _: an_ack(control_id_of(message)))
    server = await asyncio.start_server(peer, "127.0.0.1", 0, ssl=context)
    named = {name: str(file) for name, file in files.items()}
    url = f"mllps://localhost:{server.sockets[0].getsockname()[1]}"
    channel = MllpChannel(a_destination(url=url, **named), PATIENT)
    try:
        await channel.connect()
        return await channel.exchange(an_outbound_row())
    finally:
        await channel.close()
        server.close()


async def test_a_receiver_that_asks_for_our_certificate_gets_it(tmp_path: Path) -> None:
    """REQ-OUT-25: mutual authentication (BCP 195): its CA is ours to name, and our certificate is its to check."""
    receivers, senders = Authority(tmp_path / "receivers"), Authority(tmp_path / "senders")
    certificate, key = senders.issue("overread")

    answer = await send_one(
        a_server(receivers, senders), ca_file=receivers.root, certificate_file=certificate, key_file=key
    )

    assert answer == Taken()


@pytest.mark.parametrize("fault", ["shows none", "shows another's", "trusts another"])
async def test_who_is_not_known_by_a_certificate_exchanges_nothing(fault: str, tmp_path: Path) -> None:
    """REQ-OUT-25: no patient's data goes to a receiver that is not the one meant, and none without our name."""
    receivers, senders = Authority(tmp_path / "receivers"), Authority(tmp_path / "senders")
    other = Authority(tmp_path / "other")
    shown = (other if fault == "shows another's" else senders).issue("overread")
    files = {"ca_file": other.root if fault == "trusts another" else receivers.root}
    files |= {} if fault == "shows none" else dict(zip(("certificate_file", "key_file"), shown, strict=True))

    with pytest.raises(Unavailable):
        await send_one(a_server(receivers, senders), **files)


async def test_files_that_are_not_there_are_a_destination_that_is_away(tmp_path: Path) -> None:
    """REQ-OUT-25: a certificate that is being renewed costs no message; the sender tries again."""
    receivers, senders = Authority(tmp_path / "receivers"), Authority(tmp_path / "senders")

    with pytest.raises(Unavailable):
        await send_one(a_server(receivers, senders), ca_file=receivers.root, certificate_file=tmp_path / "none.pem")
