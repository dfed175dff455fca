/** The page's words in Vietnamese, English and French. The language is remembered on this machine. */
import { computed, signal } from "@preact/signals";
import en from "./words/en.json";
import fr from "./words/fr.json";
import vi from "./words/vi.json";

export type Word = keyof typeof en;
export type Language = "vi" | "en" | "fr";

export const LANGUAGES: readonly { code: Language; name: string }[] = [
  { code: "vi", name: "Tiếng Việt" },
  { code: "en", name: "English" },
  { code: "fr", name: "Français" },
];

const WORDS: Record<Language, Record<Word, string>> = { vi, en, fr };
const LOCALES: Record<Language, string> = { vi: "vi-VN", en: "en-GB", fr: "fr-FR" };
const DAY = { day: "2-digit", month: "2-digit", year: "numeric" } as const;
const KEPT = "overread.language";

const chosen = signal<Language | null>(asLanguage(localStorage.getItem(KEPT)));
const sites = signal<Language>("vi");

export const language = computed<Language>(() => chosen.value ?? sites.value);

/** Speak `code` from now on, also after the page is closed. */
export function choose(code: string): void {
  chosen.value = asLanguage(code);
  localStorage.setItem(KEPT, code);
}

/** Speak the site's language where nobody chose one. */
export function speakAsSite(code: string): void {
  sites.value = asLanguage(code) ?? "vi";
}

/** Return the sentence called `word`, with `{names}` filled in. */
export function t(word: Word, filled: Record<string, string | number> = {}): string {
  const sentence = WORDS[language.value][word];
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(filled[name] ?? ""));
}

/** Return the sentence called `word` in the language of a document, whatever the page speaks. */
export function tIn(code: string, word: Word): string {
  return WORDS[asLanguage(code) ?? language.value][word];
}

/** Return the sentence `prefix.key`, or `otherwise` where there is none for this key. */
export function tOf(
  prefix: string,
  key: string,
  otherwise: string = key,
  filled: Record<string, string | number> = {},
): string {
  const word = `${prefix}.${key.replaceAll("-", "_")}`;
  return word in WORDS.en ? t(word as Word, filled) : otherwise;
}

/** Say a moment as a date with its time. */
export function moment(iso: string | null): string {
  const at = iso ? new Date(iso) : null;
  if (!at || Number.isNaN(at.valueOf())) return iso ?? "";
  return new Intl.DateTimeFormat(LOCALES[language.value], { ...DAY, hour: "2-digit", minute: "2-digit" }).format(at);
}

/** Say the time of day. */
export function clock(iso: string): string {
  return new Intl.DateTimeFormat(LOCALES[language.value], { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));
}

/** Say a day. */
export function day(iso: string | null): string {
  if (!iso) return "";
  const at = new Date(`${iso.slice(0, 10)}T00:00:00`);
  return Number.isNaN(at.valueOf()) ? iso : new Intl.DateTimeFormat(LOCALES[language.value], DAY).format(at);
}

/** Say how long something takes: `45 s`, `12 min`, `3 h 05`, `2 d`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("time.seconds", { n: s });
  if (s < 3600) return t("time.minutes", { n: Math.floor(s / 60) });
  if (s < 86_400) return t("time.hours", { n: Math.floor(s / 3600), m: String(Math.floor((s % 3600) / 60)).padStart(2, "0") });
  return t("time.days", { n: Math.floor(s / 86_400) });
}

/** Write a decimal string as the language does: the digits stay as they are. */
export function decimal(value: string): string {
  return language.value === "en" ? value : value.replace(".", ",");
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(LOCALES[language.value], { maximumFractionDigits: digits }).format(value);
}

function asLanguage(code: string | null): Language | null {
  return LANGUAGES.find((known) => known.code === code)?.code ?? null;
}
