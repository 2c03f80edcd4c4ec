import js from "@eslint/js";
import globals from "globals";

// The scripts of a page share one scope: tsc knows the names, here only each file's own are judged.
export default [
  { ignores: ["**/vendor/"] },
  {
    files: ["**/*.js"],
    languageOptions: { sourceType: "script", ecmaVersion: 2024, globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...js.configs.recommended.rules,
      "no-undef": "off",
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-unused-vars": ["error", { vars: "local" }],
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-shadow": ["error", { builtinGlobals: false }],
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write"].map((property) => ({
          property,
          message: "Text of data only ever becomes text, never HTML.",
        })),
      ],
      strict: ["error", "global"],
    },
  },
];
