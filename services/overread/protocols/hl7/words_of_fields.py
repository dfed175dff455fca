"""What segments and fields are called in Vietnamese and French: `English | Vietnamese | French`, a line each."""

TABLE = """
Message header | Phần đầu thông điệp | En-tête du message
Software | Phần mềm | Logiciel
Event type | Loại sự kiện | Type d'événement
Patient identification | Thông tin định danh người bệnh | Identification du patient
Additional demographics | Thông tin hành chính bổ sung | Données démographiques complémentaires
Merge information: the number that ends | Thông tin gộp: mã chấm dứt | Fusion : le numéro qui prend fin
Next of kin | Người thân | Proche
Patient visit | Lượt khám | Venue du patient
Patient visit, additional | Lượt khám, bổ sung | Venue du patient, complément
Insurance | Bảo hiểm | Assurance
Insurance, additional | Bảo hiểm, bổ sung | Assurance, complément
Insurance certification | Xác nhận bảo hiểm | Accord de l'assurance
Guarantor | Người bảo lãnh | Garant
Allergy | Dị ứng | Allergie
Diagnosis | Chẩn đoán | Diagnostic
Accident | Tai nạn | Accident
Common order | Phần chung của chỉ định | Demande, partie commune
Observation request | Yêu cầu thực hiện | Demande d'examen
Timing and quantity | Thời gian và số lượng | Horaire et quantité
Imaging procedure control | Thông tin thực hiện chẩn đoán hình ảnh | Pilotage de l'acte d'imagerie
Study Instance UID (IHE, before version 2.5) | Study Instance UID (IHE, trước phiên bản 2.5) | Study Instance UID (IHE, avant la version 2.5)
Observation or result | Kết quả | Observation ou résultat
Notes and comments | Ghi chú | Notes et commentaires
Specimen | Mẫu bệnh phẩm | Échantillon
Schedule activity | Lịch hẹn | Rendez-vous
Resource group | Nhóm nguồn lực | Groupe de ressources
Appointment: service | Lịch hẹn: dịch vụ | Rendez-vous : prestation
Appointment: general resource | Lịch hẹn: nguồn lực chung | Rendez-vous : ressource générale
Appointment: location | Lịch hẹn: địa điểm | Rendez-vous : lieu
Appointment: personnel | Lịch hẹn: nhân sự | Rendez-vous : personnel
Document header | Phần đầu văn bản | En-tête du document
Acknowledgment | Thư trả lời | Accusé de réception
Error | Lỗi | Erreur
Continuation pointer | Con trỏ phần tiếp theo | Pointeur de suite
Addendum | Phần bổ sung | Complément
File header | Đầu tệp | En-tête de fichier
Batch header | Đầu lô | En-tête de lot
Batch trailer | Cuối lô | Fin de lot
File trailer | Cuối tệp | Fin de fichier
Segment of the sender's own | Đoạn riêng của bên gửi | Segment propre à l'émetteur
Field separator | Ký tự phân cách trường | Séparateur de champs
Encoding characters | Các ký tự mã hoá | Caractères d'encodage
Sending application | Ứng dụng gửi | Application émettrice
Sending facility | Cơ sở gửi | Établissement émetteur
Receiving application | Ứng dụng nhận | Application réceptrice
Receiving facility | Cơ sở nhận | Établissement récepteur
Date time of message | Thời điểm của thông điệp | Date et heure du message
Security | Bảo mật | Sécurité
Message type | Loại thông điệp | Type de message
Message control ID | Mã kiểm soát thông điệp | Identifiant de contrôle du message
Processing ID | Mã xử lý | Identifiant de traitement
Version ID | Phiên bản | Version
Sequence number | Số thứ tự | Numéro de séquence
Accept acknowledgement type | Khi nào trả lời nhận | Quand accuser la réception
Accept acknowledgment type | Khi nào trả lời nhận | Quand accuser la réception
Application acknowledgement type | Khi nào ứng dụng trả lời | Quand l'application répond
Application acknowledgment type | Khi nào ứng dụng trả lời | Quand l'application répond
Country code | Mã quốc gia | Code du pays
Character set | Bảng mã ký tự | Jeu de caractères
Principal language of message | Ngôn ngữ chính của thông điệp | Langue principale du message
Alternate character set handling scheme | Cách chuyển bảng mã | Mode de changement de jeu
Message profile identifier | Mã hồ sơ thông điệp | Identifiant du profil de message
Conformance statement ID | Mã tuyên bố tuân thủ | Identifiant de conformité
Sending responsible organization | Tổ chức chịu trách nhiệm gửi | Organisme responsable de l'envoi
Receiving responsible organization | Tổ chức chịu trách nhiệm nhận | Organisme responsable de la réception
Sending network address | Địa chỉ mạng gửi | Adresse réseau émettrice
Receiving network address | Địa chỉ mạng nhận | Adresse réseau réceptrice
Event type code | Mã loại sự kiện | Code du type d'événement
Recorded date time | Thời điểm ghi nhận | Date et heure d'enregistrement
Date time planned event | Thời điểm dự kiến | Date et heure prévues
Event reason code | Mã lý do sự kiện | Code du motif
Operator ID | Mã người thao tác | Identifiant de l'opérateur
Event occured | Thời điểm xảy ra | Date de l'événement
Event occurred | Thời điểm xảy ra | Date de l'événement
Event facility | Cơ sở xảy ra | Établissement de l'événement
Set ID | Số thứ tự đoạn | Numéro d'ordre
Set ID patient ID | Số thứ tự đoạn | Numéro d'ordre
Set ID patient visit | Số thứ tự đoạn | Numéro d'ordre
Set ID observation request | Số thứ tự đoạn | Numéro d'ordre
Set ID notes and comments | Số thứ tự đoạn | Numéro d'ordre
Patient ID | Mã người bệnh | Identifiant du patient
Patient ID external ID | Mã người bệnh bên ngoài | Identifiant externe du patient
Patient ID internal ID | Mã người bệnh nội bộ | Identifiant interne du patient
Patient identifier list | Danh sách mã người bệnh | Liste des identifiants du patient
Alternate patient ID | Mã người bệnh khác | Autre identifiant du patient
Patient name | Họ tên người bệnh | Nom du patient
Mother's maiden name | Họ tên mẹ | Nom de jeune fille de la mère
Date of birth | Ngày sinh | Date de naissance
Date time of birth | Ngày giờ sinh | Date et heure de naissance
Sex | Giới tính | Sexe
Administrative sex | Giới tính hành chính | Sexe administratif
Patient alias | Tên khác của người bệnh | Autre nom du patient
Race | Dân tộc | Origine
Patient address | Địa chỉ người bệnh | Adresse du patient
County code | Mã quận, huyện | Code du comté
Phone number home | Điện thoại nhà | Téléphone personnel
Phone number business | Điện thoại cơ quan | Téléphone professionnel
Patient telecommunication information | Thông tin liên lạc của người bệnh | Coordonnées du patient
Primary language | Ngôn ngữ chính | Langue principale
Marital status | Tình trạng hôn nhân | État civil
Religion | Tôn giáo | Religion
Patient account number | Số tài khoản viện phí | Numéro de compte du patient
Ssn number patient | Số an sinh xã hội | Numéro de sécurité sociale
Ssn number | Số an sinh xã hội | Numéro de sécurité sociale
Driver's license number | Số giấy phép lái xe | Numéro de permis de conduire
Drivers license number | Số giấy phép lái xe | Numéro de permis de conduire
Driver's license number patient | Số giấy phép lái xe | Numéro de permis de conduire
Mother's identifier | Mã của mẹ | Identifiant de la mère
Ethnic group | Nhóm dân tộc | Groupe ethnique
Birth place | Nơi sinh | Lieu de naissance
Multiple birth indicator | Sinh nhiều con | Naissance multiple
Birth order | Thứ tự sinh | Rang de naissance
Citizenship | Quốc tịch | Citoyenneté
Veterans military status | Tình trạng quân ngũ | Statut militaire
Nationality | Quốc tịch | Nationalité
Nationality code | Mã quốc tịch | Code de nationalité
Patient death date and time | Thời điểm tử vong | Date et heure du décès
Patient death indicator | Đã tử vong | Décès
Identity unknown indicator | Không rõ danh tính | Identité inconnue
Identity reliability code | Độ tin cậy của danh tính | Fiabilité de l'identité
Last update date time | Thời điểm cập nhật cuối | Dernière mise à jour
Last update facility | Cơ sở cập nhật cuối | Établissement de la dernière mise à jour
Prior patient identifier list | Danh sách mã người bệnh cũ | Liste des identifiants antérieurs
Prior patient ID | Mã người bệnh cũ | Identifiant antérieur du patient
Prior patient ID internal | Mã người bệnh nội bộ cũ | Identifiant interne antérieur
Prior patient ID external | Mã người bệnh bên ngoài cũ | Identifiant externe antérieur
Prior alternate patient ID | Mã người bệnh khác cũ | Autre identifiant antérieur
Prior patient account number | Số tài khoản viện phí cũ | Numéro de compte antérieur
Prior visit number | Số lượt khám cũ | Numéro de venue antérieur
Prior alternate visit ID | Mã lượt khám khác cũ | Autre identifiant de venue antérieur
Prior patient name | Họ tên cũ | Nom antérieur du patient
Patient class | Loại người bệnh | Catégorie de patient
Assigned patient location | Vị trí của người bệnh | Localisation du patient
Admission type | Hình thức nhập viện | Type d'admission
Preadmit number | Số chờ nhập viện | Numéro de préadmission
Prior patient location | Vị trí trước | Localisation précédente
Attending doctor | Bác sĩ điều trị | Médecin traitant
Referring doctor | Bác sĩ giới thiệu | Médecin adresseur
Consulting doctor | Bác sĩ hội chẩn | Médecin consultant
Hospital service | Khoa | Service hospitalier
Temporary location | Vị trí tạm thời | Localisation temporaire
Admit source | Nơi chuyển đến | Provenance
Admitting doctor | Bác sĩ cho nhập viện | Médecin d'admission
Patient type | Đối tượng người bệnh | Type de patient
Visit number | Số lượt khám | Numéro de venue
Financial class | Đối tượng thanh toán | Classe financière
Discharge disposition | Hình thức ra viện | Mode de sortie
Discharged to location | Chuyển đến khi ra viện | Destination de sortie
Servicing facility | Cơ sở phục vụ | Établissement de service
Account status | Tình trạng tài khoản | État du compte
Admit date time | Thời điểm nhập viện | Date et heure d'admission
Discharge date time | Thời điểm ra viện | Date et heure de sortie
Alternate visit ID | Mã lượt khám khác | Autre identifiant de venue
Visit indicator | Cấp độ lượt khám | Niveau de venue
Order control | Mã điều khiển chỉ định | Code de contrôle de la demande
Placer order number | Số chỉ định của bên yêu cầu | Numéro du demandeur
Filler order number | Số chỉ định của bên thực hiện | Numéro de l'exécutant
Placer group number | Số nhóm chỉ định | Numéro de groupe du demandeur
Order status | Trạng thái chỉ định | Statut de la demande
Response flag | Yêu cầu phản hồi | Réponse attendue
Quantity timing | Số lượng và thời gian | Quantité et horaire
Parent | Chỉ định cha | Parent
Parent order | Chỉ định cha | Demande parente
Date time of transaction | Thời điểm giao dịch | Date et heure de la transaction
Entered by | Người nhập | Saisi par
Verified by | Người kiểm tra | Vérifié par
Ordering provider | Người chỉ định | Prescripteur
Enterer's location | Nơi nhập | Lieu de saisie
Call back phone number | Điện thoại liên hệ lại | Téléphone de rappel
Order effective date time | Thời điểm hiệu lực | Date d'effet de la demande
Order control code reason | Lý do của mã điều khiển | Motif du code de contrôle
Entering organization | Đơn vị nhập | Organisme de saisie
Entering device | Thiết bị nhập | Appareil de saisie
Action by | Người thực hiện | Action de
Ordering facility name | Cơ sở chỉ định | Établissement prescripteur
Ordering facility address | Địa chỉ cơ sở chỉ định | Adresse de l'établissement prescripteur
Ordering facility phone number | Điện thoại cơ sở chỉ định | Téléphone de l'établissement prescripteur
Ordering provider address | Địa chỉ người chỉ định | Adresse du prescripteur
Order status modifier | Bổ nghĩa trạng thái | Précision du statut
Confidentiality code | Mức bảo mật | Code de confidentialité
Order type | Loại chỉ định | Type de demande
Universal service identifier | Mã dịch vụ | Identifiant de l'acte
Priority | Mức ưu tiên | Priorité
Requested date time | Thời điểm yêu cầu | Date et heure demandées
Observation date time | Thời điểm thực hiện | Date et heure de l'examen
Observation end date time | Thời điểm kết thúc | Fin de l'examen
Collection volume | Thể tích mẫu | Volume prélevé
Collector identifier | Mã người lấy mẫu | Préleveur
Specimen action code | Mã xử lý mẫu | Code d'action sur l'échantillon
Danger code | Mã nguy hiểm | Code de danger
Relevant clinical information | Thông tin lâm sàng | Renseignements cliniques
Relevant clinical info | Thông tin lâm sàng | Renseignements cliniques
Specimen received date time | Thời điểm nhận mẫu | Réception de l'échantillon
Specimen source | Nguồn mẫu | Origine de l'échantillon
Order callback phone number | Điện thoại liên hệ về chỉ định | Téléphone de rappel pour la demande
Placer field 1 | Trường 1 của bên yêu cầu | Champ 1 du demandeur
Placer field 2 | Trường 2 của bên yêu cầu | Champ 2 du demandeur
Filler field 1 | Trường 1 của bên thực hiện | Champ 1 de l'exécutant
Filler field 2 | Trường 2 của bên thực hiện | Champ 2 de l'exécutant
Results rpt status chng date time | Thời điểm đổi trạng thái kết quả | Changement de statut du résultat
Charge to practice | Chi phí | Facturation
Diagnostic service section ID | Khoa thực hiện | Service exécutant
Diagnostic serv sect ID | Khoa thực hiện | Service exécutant
Result status | Trạng thái kết quả | Statut du résultat
Parent result | Kết quả cha | Résultat parent
Result copies to | Gửi bản sao kết quả cho | Copies du résultat à
Parent number | Số chỉ định cha | Numéro parent
Transportation mode | Cách di chuyển | Mode de transport
Reason for study | Lý do thực hiện | Motif de l'examen
Principal result interpreter | Người đọc kết quả chính | Interprète principal
Assistant result interpreter | Người đọc kết quả phụ | Interprète assistant
Technician | Kỹ thuật viên | Manipulateur
Transcriptionist | Người đánh máy | Secrétaire
Scheduled date time | Thời điểm hẹn | Date et heure prévues
Procedure code | Mã thủ thuật | Code de l'acte
Procedure code modifier | Bổ nghĩa mã thủ thuật | Modificateur de l'acte
Quantity | Số lượng | Quantité
Repeat pattern | Kiểu lặp lại | Rythme
Explicit time | Giờ cụ thể | Heure explicite
Service duration | Thời lượng | Durée
Start date time | Thời điểm bắt đầu | Début
End date time | Thời điểm kết thúc | Fin
Condition text | Điều kiện | Condition
Text instruction | Hướng dẫn | Consigne
Accession identifier | Số phiếu (accession number) | Numéro d'accession
Requested procedure ID | Mã thủ thuật yêu cầu | Identifiant de l'acte demandé
Study instance UID | Study Instance UID | Study Instance UID
Scheduled procedure step ID | Mã bước thực hiện đã hẹn | Identifiant de l'étape planifiée
Modality | Loại máy | Modalité
Protocol code | Mã quy trình chụp | Code du protocole
Scheduled station name | Tên máy đã hẹn | Poste planifié
Scheduled procedure step location | Nơi thực hiện đã hẹn | Lieu de l'étape planifiée
Scheduled AE title | AE title đã hẹn | AE title planifié
Scheduled station AE title | AE title của máy đã hẹn | AE title du poste planifié
Value type | Kiểu giá trị | Type de valeur
Observation identifier | Mã kết quả | Identifiant de l'observation
Observation sub ID | Mã phụ của kết quả | Sous-identifiant de l'observation
Observation value | Giá trị kết quả | Valeur de l'observation
Units | Đơn vị | Unités
References range | Khoảng tham chiếu | Valeurs de référence
Abnormal flags | Cờ bất thường | Indicateur d'anomalie
Interpretation codes | Mã đánh giá | Codes d'interprétation
Probability | Xác suất | Probabilité
Nature of abnormal test | Cơ sở so sánh bất thường | Nature de l'anomalie
Observ result status | Trạng thái kết quả | Statut du résultat
Observation result status | Trạng thái kết quả | Statut du résultat
Date time of the observation | Thời điểm quan sát | Date et heure de l'observation
Producer's ID | Nơi tạo kết quả | Producteur
Producer's reference | Nơi tạo kết quả | Producteur
Responsible observer | Người chịu trách nhiệm | Observateur responsable
Observation method | Phương pháp | Méthode
Equipment instance identifier | Mã thiết bị | Identifiant de l'appareil
Date time of the analysis | Thời điểm phân tích | Date et heure de l'analyse
Observation site | Vị trí cơ thể | Site de l'observation
Source of comment | Nguồn ghi chú | Origine du commentaire
Comment | Ghi chú | Commentaire
Comment type | Loại ghi chú | Type de commentaire
Placer appointment ID | Mã lịch hẹn của bên yêu cầu | Rendez-vous du demandeur
Filler appointment ID | Mã lịch hẹn của bên thực hiện | Rendez-vous de l'exécutant
Occurrence number | Lần thứ | Numéro d'occurrence
Schedule ID | Mã lịch | Identifiant de l'agenda
Event reason | Lý do sự kiện | Motif de l'événement
Appointment reason | Lý do hẹn | Motif du rendez-vous
Appointment type | Loại lịch hẹn | Type de rendez-vous
Appointment duration | Thời lượng hẹn | Durée du rendez-vous
Appointment duration units | Đơn vị thời lượng | Unité de durée
Appointment timing quantity | Thời gian hẹn | Horaire du rendez-vous
Placer contact person | Người liên hệ bên yêu cầu | Contact du demandeur
Filler contact person | Người liên hệ bên thực hiện | Contact de l'exécutant
Entered by person | Người nhập | Saisi par
Parent placer appointment ID | Mã lịch hẹn cha của bên yêu cầu | Rendez-vous parent du demandeur
Parent filler appointment ID | Mã lịch hẹn cha của bên thực hiện | Rendez-vous parent de l'exécutant
Filler status code | Trạng thái lịch hẹn | Statut du rendez-vous
Segment action code | Hành động với đoạn | Action sur le segment
Resource group ID | Mã nhóm nguồn lực | Groupe de ressources
Location resource ID | Mã địa điểm | Lieu
Acknowledgment code | Mã trả lời | Code d'accusé
Text message | Lời nhắn | Texte
Expected sequence number | Số thứ tự mong đợi | Numéro de séquence attendu
Error condition | Mã lỗi | Condition d'erreur
Error code and location | Mã lỗi và vị trí | Code et place de l'erreur
Error location | Vị trí lỗi | Place de l'erreur
HL7 error code | Mã lỗi HL7 | Code d'erreur HL7
Severity | Mức độ | Gravité
Application error code | Mã lỗi của ứng dụng | Code d'erreur de l'application
Application error parameter | Tham số lỗi của ứng dụng | Paramètre de l'erreur
Diagnostic information | Thông tin chẩn đoán lỗi | Diagnostic
User message | Thông báo cho người dùng | Message à l'utilisateur
Document type | Loại văn bản | Type de document
Document content presentation | Dạng trình bày | Présentation du contenu
Activity date time | Thời điểm hoạt động | Date de l'activité
Primary activity provider code name | Người thực hiện chính | Acteur principal
Origination date time | Thời điểm tạo | Date de création
Originator code name | Người tạo | Auteur
Unique document number | Số văn bản | Numéro unique du document
Parent document number | Số văn bản gốc | Numéro du document parent
Document completion status | Trạng thái hoàn thành | État d'achèvement
Document availability status | Trạng thái sử dụng | Disponibilité
Authentication person time stamp | Người ký và thời điểm ký | Signataire et date
Authentication person time stamp set | Người ký và thời điểm ký | Signataire et date
Universal service ID | Mã dịch vụ | Identifiant de l'acte
Parent universal service identifier | Mã dịch vụ cha | Identifiant de l'acte parent
Parent result observation identifier | Mã kết quả cha | Observation du résultat parent
Parent results observation identifier | Mã kết quả cha | Observation du résultat parent
Alternate placer order number | Số chỉ định khác của bên yêu cầu | Autre numéro du demandeur
Ambulatory status | Khả năng đi lại | Autonomie de marche
Bed status | Tình trạng giường | État du lit
Vip indicator | Người bệnh đặc biệt | Indicateur VIP
Re admission indicator | Tái nhập viện | Réadmission
Readmission indicator | Tái nhập viện | Réadmission
Preadmit test indicator | Xét nghiệm trước nhập viện | Examens de préadmission
Pending location | Vị trí chờ | Localisation en attente
Prior temporary location | Vị trí tạm thời trước | Localisation temporaire précédente
Diet type | Chế độ ăn | Régime alimentaire
Other healthcare provider | Nhân viên y tế khác | Autre professionnel de santé
Conjunction | Liên kết | Conjonction
Duration | Thời lượng | Durée
Duration units | Đơn vị thời lượng | Unité de durée
Occurrence duration | Thời lượng mỗi lần | Durée de l'occurrence
Total occurrence s | Tổng số lần | Nombre d'occurrences
Total occurrences | Tổng số lần | Nombre d'occurrences
Relative time and units | Thời gian tương đối và đơn vị | Temps relatif et unités
Entered by location | Nơi nhập | Lieu de saisie
Entered by phone number | Điện thoại người nhập | Téléphone de saisie
Enterer authorization mode | Hình thức cho phép nhập | Mode d'autorisation de saisie
Filler's expected availability date time | Thời điểm dự kiến có kết quả | Disponibilité attendue chez l'exécutant
Number of sample containers | Số ống mẫu | Nombre de contenants
Collector's comment | Ghi chú của người lấy mẫu | Commentaire du préleveur
Transport logistics of collected sample | Vận chuyển mẫu | Transport de l'échantillon
Transport arrangement responsibility | Người chịu trách nhiệm di chuyển | Responsable du transport
Transport arranged | Đã sắp xếp di chuyển | Transport organisé
Escort required | Cần người đi kèm | Accompagnement requis
Planned patient transport comment | Ghi chú di chuyển người bệnh | Commentaire sur le transport
Placer supplemental service information | Thông tin bổ sung của bên yêu cầu | Complément du demandeur
Filler supplemental service information | Thông tin bổ sung của bên thực hiện | Complément de l'exécutant
Result handling | Cách xử lý kết quả | Traitement du résultat
Effective date of reference range | Ngày hiệu lực của khoảng tham chiếu | Date d'effet des valeurs de référence
Effective date of reference range values | Ngày hiệu lực của khoảng tham chiếu | Date d'effet des valeurs de référence
Date last obs normal values | Ngày hiệu lực của khoảng tham chiếu | Date d'effet des valeurs de référence
Date last observation normal value | Ngày hiệu lực của khoảng tham chiếu | Date d'effet des valeurs de référence
User defined access checks | Kiểm soát truy cập riêng | Contrôle d'accès propre au site
Performing organization name | Tên đơn vị thực hiện | Organisme exécutant
Performing organization address | Địa chỉ đơn vị thực hiện | Adresse de l'organisme exécutant
Performing organization medical director | Phụ trách chuyên môn đơn vị thực hiện | Directeur médical de l'exécutant
Observation instance identifier | Mã lần quan sát | Identifiant de l'instance d'observation
Observation type | Loại kết quả | Type d'observation
Observation sub type | Loại con của kết quả | Sous-type d'observation
Delayed acknowledgement type | Loại trả lời chậm | Type d'accusé différé
Delayed acknowledgment type | Loại trả lời chậm | Type d'accusé différé
Location type | Loại vị trí | Type de lieu
Location group | Nhóm vị trí | Groupe de lieux
Allow substitution code | Cho phép thay thế | Substitution permise
Entered date time | Thời điểm nhập | Date et heure de saisie
Effective start date | Ngày bắt đầu hiệu lực | Date de début
Expiration date | Ngày hết hạn | Date d'expiration
"""
