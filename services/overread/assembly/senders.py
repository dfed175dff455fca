"""Which system a message comes from, as far as it says: systems that number alike are told apart by it. Pure."""

from overread.contracts.events.intake import HL7Received


def sender_of(received: HL7Received) -> str:
    """Return MSH-3 and MSH-4, or the link where a message names neither.

    A system keeps its name when it comes over another link: a correction finds what it corrects.
    """
    return sender_named(received.sending_application, received.sending_facility, received.link_id)


def sender_named(sending_application: str, sending_facility: str, link_id: str) -> str:
    """Return the name of a sender by what its messages say."""
    if sending_application or sending_facility:
        return f"{sending_application}|{sending_facility}"
    return f"link {link_id}"
