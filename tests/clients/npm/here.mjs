// What the three files of tests share: where the gateway is, and what its scripted providers say.
export const url = process.env.TIERWISE_URL; // ends in /v1
export const key = process.env.TIERWISE_KEY;
export const routes = ["support", "direct"]; // over OpenAI's wire, over Anthropic's
export const good = "The parcel leaves our warehouse tomorrow morning and reaches you on Friday.";
export const asked = "How many of the 300 people live in 'Bern'?";
export const bern = { name: "Bern", people: 300 };
export const city = {
  type: "object",
  properties: { name: { type: "string" }, people: { type: "integer" } },
  required: ["name", "people"],
  additionalProperties: false,
};
