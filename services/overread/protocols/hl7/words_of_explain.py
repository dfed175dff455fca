"""What `explain` and the acceptance protocol say of a message, in Vietnamese and French, by the English template.

`{…}` stands for what varies, in each language once. Who says a new sentence adds its row; a test names the one missing.
"""

from collections.abc import Mapping

SENTENCES: Mapping[str, tuple[str, str]] = {
    # values
    'two double quotes: "delete what is stored"': (
        'hai dấu nháy kép: "xoá giá trị đang lưu"',
        "deux guillemets : « effacer ce qui est conservé »",
    ),
    "hidden, a date": ("đã ẩn, là ngày", "masqué, une date"),
    "hidden, not a date": ("đã ẩn, không phải ngày", "masqué, pas une date"),
    "hidden, 1 character": ("đã ẩn, 1 ký tự", "masqué, 1 caractère"),
    "hidden, {count} characters": ("đã ẩn, {count} ký tự", "masqué, {count} caractères"),
    "{moment}, hospital time": ("{moment}, giờ bệnh viện", "{moment}, heure de l'hôpital"),
    "({count} characters)": ("({count} ký tự)", "({count} caractères)"),
    "not named by the standard": ("chuẩn không đặt tên", "sans nom dans la norme"),
    "and": ("và", "et"),
    # what stands around them
    "TAKEN": ("NHẬN", "ACCEPTÉ"),
    "REFUSED": ("TỪ CHỐI", "REFUSÉ"),
    "note:": ("lưu ý:", "note :"),
    "change:": ("cần sửa:", "à changer :"),
    "link:": ("kênh:", "lien :"),
    "message {number} of {of}": ("thông điệp {number} trên {of}", "message {number} sur {of}"),
    "The sender asks for no answer on the line (MSH-15).": (
        "Bên gửi không yêu cầu trả lời trên đường truyền (MSH-15).",
        "L'émetteur ne demande aucune réponse sur la ligne (MSH-15).",
    ),
    "The answer would be {code}: {meaning}.": (
        "Câu trả lời sẽ là {code}: {meaning}.",
        "La réponse serait {code} : {meaning}.",
    ),
    "Condition {condition} ({meaning}).": ("Mã lỗi {condition} ({meaning}).", "Condition {condition} ({meaning})."),
    "Condition {condition} ({meaning}) at {place}.": (
        "Mã lỗi {condition} ({meaning}) tại {place}.",
        "Condition {condition} ({meaning}) en {place}.",
    ),
    "{count} lines are no segment and are passed over: a line end inside a text?": (
        "Có {count} dòng không phải là đoạn nên được bỏ qua: có dấu xuống dòng nằm trong văn bản?",
        "{count} lignes ne sont pas des segments et sont ignorées : une fin de ligne dans un texte ?",
    ),
    # what a file holds
    "The file holds MLLP blocks; each is taken as it would come on the line.": (
        "Tệp chứa các khối MLLP; mỗi khối được đọc như khi đến trên đường truyền.",
        "Le fichier contient des blocs MLLP ; chacun est lu comme il arriverait sur la ligne.",
    ),
    "Bytes stand outside the MLLP blocks; a listener passes over them.": (
        "Có byte nằm ngoài các khối MLLP; bên nhận sẽ bỏ qua.",
        "Des octets se trouvent hors des blocs MLLP ; un récepteur les ignore.",
    ),
    "The last MLLP block has no end (0x1C 0x0D); a listener waits for it, then closes the line.": (
        "Khối MLLP cuối không có phần kết (0x1C 0x0D); bên nhận sẽ chờ rồi đóng đường truyền.",
        "Le dernier bloc MLLP n'a pas de fin (0x1C 0x0D) ; un récepteur l'attend, puis ferme la ligne.",
    ),
    "The file is a batch (FHS, BHS); on a line a batch is refused. Send its messages one by one: so they are read here.": (
        "Tệp là một lô (FHS, BHS); trên đường truyền, lô bị từ chối. Hãy gửi từng thông điệp: ở đây cũng đọc như vậy.",
        "Le fichier est un lot (FHS, BHS), refusé sur une ligne. Envoyez les messages un à un : c'est ainsi qu'ils sont lus ici.",
    ),
    # what was let pass
    "byte order mark before MSH": ("dấu BOM trước MSH", "marque d'ordre des octets avant MSH"),
    "white space before MSH": ("khoảng trắng trước MSH", "espace avant MSH"),
    "line feed as segment end": ("kết thúc đoạn bằng LF", "saut de ligne en fin de segment"),
    "character set taken from the link's setting": (
        "bảng mã lấy từ cấu hình kênh",
        "jeu de caractères repris de la configuration du lien",
    ),
    "A byte order mark stands before MSH. It is passed over; better without.": (
        "Trước MSH có dấu BOM. Dấu này được bỏ qua; tốt hơn là không gửi.",
        "Une marque d'ordre des octets précède MSH. Elle est ignorée ; mieux vaut s'en passer.",
    ),
    "White space stands before MSH. It is passed over; better without.": (
        "Trước MSH có khoảng trắng. Khoảng trắng được bỏ qua; tốt hơn là không gửi.",
        "Des espaces précèdent MSH. Ils sont ignorés ; mieux vaut s'en passer.",
    ),
    "Segments end in line feeds. They are taken; by the standard a segment ends in CR (0x0D) alone.": (
        "Các đoạn kết thúc bằng LF. Vẫn được nhận; theo chuẩn, đoạn chỉ kết thúc bằng CR (0x0D).",
        "Les segments finissent par des sauts de ligne. C'est accepté ; selon la norme, un segment finit par CR (0x0D) seul.",
    ),
    "The text is read in the charset of the link's setting, since MSH-18 does not name it.": (
        "Văn bản được đọc theo bảng mã khai báo cho kênh, vì MSH-18 không nêu bảng mã này.",
        "Le texte est lu dans le jeu de caractères configuré pour le lien, puisque MSH-18 ne le nomme pas.",
    ),
    # where text breaks
    "Byte {at} of the message (0x{byte}) is no text in {codec}.": (
        "Byte thứ {at} của thông điệp (0x{byte}) không phải là chữ trong bảng mã {codec}.",
        "L'octet {at} du message (0x{byte}) n'est pas du texte en {codec}.",
    ),
    "Byte {at} of the message (0x{byte}) is no text in {codec}, in {place}.": (
        "Byte thứ {at} của thông điệp (0x{byte}) không phải là chữ trong bảng mã {codec}, ở {place}.",
        "L'octet {at} du message (0x{byte}) n'est pas du texte en {codec}, en {place}.",
    ),
    "It is neither UTF-8 nor old Vietnamese text: ask the sender's maker which charset it writes.": (
        "Đây không phải UTF-8 cũng không phải bảng mã tiếng Việt cũ: hãy hỏi nhà cung cấp bên gửi dùng bảng mã nào.",
        "Ce n'est ni de l'UTF-8 ni un ancien codage vietnamien : demandez au fournisseur quel jeu il écrit.",
    ),
    'It seems to be {seen}: let the sender declare UNICODE UTF-8 in MSH-18, or set fallback_charset = "{seen}" for the link.': (
        'Có vẻ là {seen}: bên gửi cần ghi UNICODE UTF-8 ở MSH-18, hoặc đặt fallback_charset = "{seen}" cho kênh.',
        (
            "Il semble que ce soit {seen} : l'émetteur doit déclarer UNICODE UTF-8 en MSH-18, ou le lien porter "
            'fallback_charset = "{seen}".'
        ),
    ),
    'It seems to be {seen}: where MSH-18 stays empty set fallback_charset = "{seen}" for the link.': (
        'Có vẻ là {seen}: nếu MSH-18 để trống, hãy đặt fallback_charset = "{seen}" cho kênh.',
        'Il semble que ce soit {seen} : si MSH-18 reste vide, mettez fallback_charset = "{seen}" pour le lien.',
    ),
    # what is made of a message
    "What PID says of the patient is taken over; where the patient lies or left is passed over.": (
        "Thông tin người bệnh trong PID được cập nhật; khoa, giường và việc ra viện được bỏ qua.",
        "Ce que PID dit du patient est repris ; son lit et sa sortie sont ignorés.",
    ),
    "The number in MRG-1 ends: its orders and cases go to the patient of PID-3.": (
        "Mã trong MRG-1 chấm dứt: chỉ định và ca chụp của mã đó chuyển sang người bệnh ở PID-3.",
        "Le numéro de MRG-1 prend fin : ses demandes et ses examens passent au patient de PID-3.",
    ),
    "Laboratory and bedside results are shown beside the studies of their patient.": (
        "Kết quả xét nghiệm và theo dõi tại giường hiện cạnh các ca chụp của người bệnh.",
        "Les résultats de laboratoire et de chevet s'affichent à côté des examens du patient.",
    ),
    "A radiologist's final report closes what we have for its study as read elsewhere.": (
        "Kết quả chính thức của bác sĩ khép lại ca chụp đó ở đây: đã đọc ở nơi khác.",
        "Le compte rendu définitif d'un radiologue clôt ce que nous avons pour cet examen : lu ailleurs.",
    ),
    "It is a note of its order: when the examination is booked. It makes no order.": (
        "Đây là ghi chú cho chỉ định: lịch hẹn chụp. Thông điệp này không tạo chỉ định.",
        "C'est une note sur la demande : la date du rendez-vous. Elle ne crée aucune demande.",
    ),
    "Order {number} of {of}: {sentence}": (
        "Chỉ định {number} trên {of}: {sentence}",
        "Demande {number} sur {of} : {sentence}",
    ),
    "ORC-1 is {control}: {meaning}.": ("ORC-1 là {control}: {meaning}.", "ORC-1 vaut {control} : {meaning}."),
    "an order control": ("mã điều khiển chỉ định", "un code de contrôle"),
    "The placer order number is {number}.": (
        "Số chỉ định của bên yêu cầu là {number}.",
        "Le numéro du demandeur est {number}.",
    ),
    "The placer order number is {number}, given by {namespace}.": (
        "Số chỉ định của bên yêu cầu là {number}, do {namespace} cấp.",
        "Le numéro du demandeur est {number}, attribué par {namespace}.",
    ),
    "The filler order number is {number}.": (
        "Số chỉ định của bên thực hiện là {number}.",
        "Le numéro de l'exécutant est {number}.",
    ),
    "The filler order number is {number}, given by {namespace}.": (
        "Số chỉ định của bên thực hiện là {number}, do {namespace} cấp.",
        "Le numéro de l'exécutant est {number}, attribué par {namespace}.",
    ),
    "or": ("hoặc", "ou"),
    "It names no images, and needs not: it is about the order that is known by its number.": (
        "Thông điệp không nêu ảnh nào và không cần nêu: nó nói về chỉ định đã biết qua số chỉ định.",
        "Il ne nomme aucune image, et n'en a pas besoin : il porte sur la demande connue par son numéro.",
    ),
    "No accession number was found in {places}, and no Study Instance UID in IPC-3 or ZDS-1: no image finds this order by "
    "itself, a person has to link them at the desk. Where the number is kept elsewhere, name the place in the link's "
    "accession_places.": (
        (
            "Không thấy số phiếu (accession number) ở {places}, cũng không thấy Study Instance UID ở IPC-3 hay ZDS-1: ảnh không "
            "tự tìm được chỉ định này, phải có người gắn ở trang Đối chiếu chỉ định. Nếu số phiếu nằm ở chỗ khác, hãy khai báo "
            "chỗ đó trong accession_places của kênh."
        ),
        (
            "Aucun numéro d'accession en {places}, ni Study Instance UID en IPC-3 ou ZDS-1 : aucune image ne trouve seule cette "
            "demande, une personne doit les lier à la page Rapprochement. Si le numéro est ailleurs, nommez sa place dans "
            "accession_places du lien."
        ),
    ),
    "No accession number was found in {places}: images find this order by their Study Instance UID, or a person links "
    "them at the desk.": (
        (
            "Không thấy số phiếu (accession number) ở {places}: ảnh tìm chỉ định này qua Study Instance UID, hoặc có người gắn "
            "ở trang Đối chiếu chỉ định."
        ),
        (
            "Aucun numéro d'accession en {places} : les images trouvent cette demande par leur Study Instance UID, ou une "
            "personne les lie à la page Rapprochement."
        ),
    ),
    "The accession number {number} was found in {place}.": (
        "Số phiếu (accession number) {number} nằm ở {place}.",
        "Le numéro d'accession {number} se trouve en {place}.",
    ),
    "No Study Instance UID was found in IPC-3 or ZDS-1; the accession number alone leads images here.": (
        "Không thấy Study Instance UID ở IPC-3 hay ZDS-1; chỉ số phiếu dẫn ảnh về chỉ định này.",
        "Aucun Study Instance UID en IPC-3 ni ZDS-1 ; seul le numéro d'accession amène les images ici.",
    ),
    "The Study Instance UID was found in {place}.": (
        "Study Instance UID nằm ở {place}.",
        "Le Study Instance UID se trouve en {place}.",
    ),
    "What is asked for (OBR-4): {service}.": (
        "Dịch vụ được chỉ định (OBR-4): {service}.",
        "Acte demandé (OBR-4) : {service}.",
    ),
    "no code": ("không có mã", "sans code"),
    "The modality is {modality}.": ("Loại máy là {modality}.", "La modalité est {modality}."),
    "The priority is {priority}.": ("Mức ưu tiên là {priority}.", "La priorité est {priority}."),
    "The priority is {priority}, {meaning}.": (
        "Mức ưu tiên là {priority}, {meaning}.",
        "La priorité est {priority}, {meaning}.",
    ),
    # how a sender is to be set up
    "How the sender of link {link} is to be set up:": (
        "Cách cấu hình bên gửi của kênh {link}:",
        "Réglages de l'émetteur du lien {link} :",
    ),
    "Connect by MLLP to port {port} of {host}, and keep the connection open.": (
        "Kết nối MLLP tới cổng {port} của {host} và giữ kết nối mở.",
        "Connectez-vous en MLLP au port {port} de {host}, et gardez la connexion ouverte.",
    ),
    "Connect by MLLP over TLS 1.2 or 1.3 to port {port} of {host}, and keep the connection open.": (
        "Kết nối MLLP qua TLS 1.2 hoặc 1.3 tới cổng {port} của {host} và giữ kết nối mở.",
        "Connectez-vous en MLLP sur TLS 1.2 ou 1.3 au port {port} de {host}, et gardez la connexion ouverte.",
    ),
    "Show a certificate of your own, issued by the authority that was agreed.": (
        "Xuất trình chứng thư của bên gửi, do tổ chức đã thống nhất cấp.",
        "Présentez votre propre certificat, émis par l'autorité convenue.",
    ),
    "Connect from {peers}; other addresses are not let in.": (
        "Kết nối từ {peers}; địa chỉ khác không được vào.",
        "Connectez-vous depuis {peers} ; les autres adresses ne sont pas admises.",
    ),
    "Write one of these into MSH-3 (with | also MSH-4): {names}.": (
        "Ghi một trong các tên sau vào MSH-3 (có dấu | thì cả MSH-4): {names}.",
        "Écrivez l'un de ces noms en MSH-3 (avec | aussi en MSH-4) : {names}.",
    ),
    "Send one message a block (0x0B before, 0x1C 0x0D behind it); each segment ends in CR (0x0D).": (
        "Mỗi khối gửi một thông điệp (0x0B ở đầu, 0x1C 0x0D ở cuối); mỗi đoạn kết thúc bằng CR (0x0D).",
        "Envoyez un message par bloc (0x0B avant, 0x1C 0x0D après) ; chaque segment finit par CR (0x0D).",
    ),
    "Write UNICODE UTF-8 into MSH-18.": ("Ghi UNICODE UTF-8 vào MSH-18.", "Écrivez UNICODE UTF-8 en MSH-18."),
    "Where MSH-18 is empty the text is read as {charset}; new senders write UNICODE UTF-8 into it.": (
        "Nếu MSH-18 để trống, văn bản được đọc theo {charset}; bên gửi mới nên ghi UNICODE UTF-8.",
        "Si MSH-18 est vide, le texte est lu en {charset} ; un nouvel émetteur y écrit UNICODE UTF-8.",
    ),
    "MSH-12 is one of {versions}; MSH-11 one of {processing_ids}.": (
        "MSH-12 là một trong {versions}; MSH-11 là một trong {processing_ids}.",
        "MSH-12 vaut {versions} ; MSH-11 vaut {processing_ids}.",
    ),
    "These messages are taken: {types}.": ("Các thông điệp được nhận: {types}.", "Messages acceptés : {types}."),
    "Each message has an MSH-10 of its own. One that gets no answer is sent again, the same bytes under the same MSH-10.": (
        "Mỗi thông điệp có MSH-10 riêng. Thông điệp không được trả lời thì gửi lại nguyên từng byte với cùng MSH-10.",
        "Chaque message a son propre MSH-10. Sans réponse, il est renvoyé : mêmes octets, même MSH-10.",
    ),
    "With MSH-15 and MSH-16 empty the answer is AA, otherwise CA (enhanced mode); it says that the message is kept.": (
        "MSH-15 và MSH-16 để trống thì trả lời AA, nếu không thì CA (chế độ nâng cao); nghĩa là thông điệp đã được lưu.",
        "MSH-15 et MSH-16 vides, la réponse est AA, sinon CA (mode amélioré) ; elle dit que le message est conservé.",
    ),
    "The answer is AA, also where MSH-15 or MSH-16 is filled; it says that the message is kept.": (
        "Câu trả lời là AA, kể cả khi MSH-15 hoặc MSH-16 có giá trị; nghĩa là thông điệp đã được lưu.",
        "La réponse est AA, même si MSH-15 ou MSH-16 est rempli ; elle dit que le message est conservé.",
    ),
    "AE, AR, CE and CR say that it was not taken, and ERR-8 (before version 2.5: MSA-3) why; show that to somebody.": (
        "AE, AR, CE và CR nghĩa là không được nhận; ERR-8 (trước phiên bản 2.5: MSA-3) nói lý do; hãy hiện cho người dùng.",
        "AE, AR, CE et CR disent qu'il n'est pas accepté, et ERR-8 (avant la version 2.5 : MSA-3) pourquoi ; montrez-le.",
    ),
    "this machine": ("máy này", "cette machine"),
}
"""Vietnamese and French, by the English."""
