import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['lib/', 'node_modules/', 'style/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // `() => doIt()` reads better than braces around one call
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Lumino's `connect(this._onChange, this)` binds what it is given
      '@typescript-eslint/unbound-method': 'off',
      // a renderer is async by its interface
      '@typescript-eslint/require-await': 'off',
      // JupyterLab's own convention
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'interface', format: ['PascalCase'], prefix: ['I'] }
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-console': 'error',
      eqeqeq: 'error'
    }
  },
  { files: ['*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  prettier
);
