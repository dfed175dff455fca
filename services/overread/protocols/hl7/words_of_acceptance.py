"""What the survey of a day and the acceptance protocol say, in Vietnamese and French, by the English template."""

from collections.abc import Mapping

SENTENCES: Mapping[str, tuple[str, str]] = {
    # the survey
    "{count} messages, the largest of {bytes} bytes": (
        "{count} thông điệp, lớn nhất {bytes} byte",
        "{count} messages, le plus grand de {bytes} octets",
    ),
    "sender (MSH-3, MSH-4)": ("bên gửi (MSH-3, MSH-4)", "émetteur (MSH-3, MSH-4)"),
    "message type (MSH-9)": ("loại thông điệp (MSH-9)", "type de message (MSH-9)"),
    "version (MSH-12)": ("phiên bản (MSH-12)", "version (MSH-12)"),
    "processing ID (MSH-11)": ("mã xử lý (MSH-11)", "traitement (MSH-11)"),
    "charset (MSH-18)": ("bảng mã (MSH-18)", "jeu de caractères (MSH-18)"),
    "{declared}, the bytes are {codec}": ("{declared}, byte là {codec}", "{declared}, les octets sont {codec}"),
    "(empty)": ("(trống)", "(vide)"),
    "answers asked for (MSH-15, MSH-16)": ("yêu cầu trả lời (MSH-15, MSH-16)", "réponses demandées (MSH-15, -16)"),
    "answered in enhanced mode (MSA-1)": ("trả lời ở chế độ nâng cao (MSA-1)", "répondu en mode amélioré (MSA-1)"),
    "original": ("chế độ gốc", "mode original"),
    "enhanced, MSH-15 {accept}, MSH-16 {application}": (
        "chế độ nâng cao, MSH-15 {accept}, MSH-16 {application}",
        "mode amélioré, MSH-15 {accept}, MSH-16 {application}",
    ),
    "control IDs (MSH-10)": ("mã kiểm soát (MSH-10)", "identifiants (MSH-10)"),
    "the same message again": ("gửi lại đúng thông điệp", "le même message à nouveau"),
    "used again for another message": ("dùng lại cho thông điệp khác", "réutilisé pour un autre message"),
    "of these under another MSH-7": ("trong đó có MSH-7 khác", "dont avec un autre MSH-7"),
    "Z segments": ("đoạn Z", "segments Z"),
    "let pass": ("được bỏ qua", "toléré"),
    "not readable as declared": ("không đọc được như khai báo", "illisible tel que déclaré"),
    "services (OBR-4)": ("dịch vụ (OBR-4)", "actes (OBR-4)"),
    "(no code)": ("(không có mã)", "(sans code)"),
    "… and {count} more codes": ("… và {count} mã khác", "… et {count} autres codes"),
    "could be an accession number": ("có thể là số phiếu", "peut être un numéro d'accession"),
    "{place}, {different} different, in {orders} orders": (
        "{place}, {different} giá trị khác nhau, trong {orders} chỉ định",
        "{place}, {different} valeurs différentes, dans {orders} demandes",
    ),
    "<- the accession number": ("<- số phiếu (accession number)", "<- le numéro d'accession"),
    # the protocol
    "Acceptance protocol of the HL7 link {link}": (
        "Biên bản nghiệm thu kênh HL7 {link}",
        "Procès-verbal de recette du lien HL7 {link}",
    ),
    "Site {site}, {moment}. {count} recorded messages, judged by the listener's own rules. SHA-256 of all in order: {digest}": (
        (
            "Cơ sở {site}, {moment}. {count} thông điệp đã ghi, được đánh giá theo đúng quy tắc của bên nhận. SHA-256 của tất cả "
            "theo thứ tự: {digest}"
        ),
        (
            "Site {site}, {moment}. {count} messages enregistrés, jugés selon les règles du récepteur lui-même. SHA-256 de tous, "
            "dans l'ordre : {digest}"
        ),
    ),
    "Every message would be taken.": ("Mọi thông điệp đều được nhận.", "Tous les messages seraient acceptés."),
    "{count} of {of} messages would be refused.": (
        "{count} trên {of} thông điệp sẽ bị từ chối.",
        "{count} messages sur {of} seraient refusés.",
    ),
    "Message types": ("Loại thông điệp", "Types de messages"),
    "Findings": ("Nhận xét", "Constats"),
    "Text": ("Văn bản và bảng mã", "Texte"),
    "Answers": ("Câu trả lời", "Réponses"),
    "What came": ("Thống kê", "Ce qui est venu"),
    "The link's settings that are not the usual ones": (
        "Cấu hình kênh khác với mặc định",
        "Réglages du lien qui diffèrent de l'usage",
    ),
    "Tried together on the line": ("Cùng thử trên đường truyền", "Essayé ensemble sur la ligne"),
    "Signatures": ("Ký xác nhận", "Signatures"),
    "type": ("loại", "type"),
    "messages": ("thông điệp", "messages"),
    "would be taken": ("được nhận", "acceptés"),
    "refused": ("bị từ chối", "refusés"),
    "what": ("nội dung", "constat"),
    "what to change": ("cần sửa", "à changer"),
    "control IDs, for example": ("mã kiểm soát, ví dụ", "identifiants, par exemple"),
    "MSH-18 says": ("MSH-18 ghi", "MSH-18 dit"),
    "read as": ("được đọc theo", "lu en"),
    "not readable": ("không đọc được", "illisible"),
    "asked for": ("bên gửi yêu cầu", "demandé"),
    "answer": ("trả lời", "réponse"),
    "no answer": ("không trả lời", "pas de réponse"),
    "nothing": ("không có", "rien"),
    "Refused, {code}: {sentence}": ("Từ chối, {code}: {sentence}", "Refusé, {code} : {sentence}"),
    "Let pass: {what}": ("Được bỏ qua: {what}", "Toléré : {what}"),
    "yes": ("có", "oui"),
    "no": ("không", "non"),
    "remark": ("ghi chú", "remarque"),
    "The line is cut after a message and before its answer: the sender sends the same bytes again.": (
        "Ngắt đường truyền sau khi gửi thông điệp và trước khi có trả lời: bên gửi gửi lại nguyên từng byte.",
        "La ligne est coupée après un message et avant sa réponse : l'émetteur renvoie les mêmes octets.",
    ),
    "A message that is refused is shown to a user of the sender, with its reason.": (
        "Thông điệp bị từ chối được hiện cho người dùng ở bên gửi, kèm lý do.",
        "Un message refusé est montré à un utilisateur de l'émetteur, avec sa raison.",
    ),
    "An order, its change and its cancellation are seen at Overread in this order.": (
        "Chỉ định, sửa và huỷ chỉ định hiện ở Overread theo đúng thứ tự.",
        "Une demande, sa modification et son annulation se voient chez Overread dans cet ordre.",
    ),
    "A patient's name with every Vietnamese mark reads at Overread as it does at the sender.": (
        "Họ tên người bệnh có đủ dấu tiếng Việt hiện ở Overread giống như ở bên gửi.",
        "Un nom de patient avec tous les signes vietnamiens se lit chez Overread comme chez l'émetteur.",
    ),
    "While Overread is stopped for five minutes the sender keeps its messages, and sends them afterwards in order.": (
        "Khi Overread dừng năm phút, bên gửi giữ các thông điệp rồi gửi lại theo thứ tự.",
        "Pendant un arrêt d'Overread de cinq minutes, l'émetteur garde ses messages et les envoie ensuite dans l'ordre.",
    ),
    "Hospital": ("Bệnh viện", "Hôpital"),
    "Sender's maker": ("Nhà cung cấp bên gửi", "Fournisseur de l'émetteur"),
    "name": ("họ tên", "nom"),
    "date": ("ngày", "date"),
    "signature": ("chữ ký", "signature"),
}
"""Vietnamese and French, by the English."""
