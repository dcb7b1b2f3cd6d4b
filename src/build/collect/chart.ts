import { isSlipwayError } from '../../base/errors.js';
import { type ChartFiles, filesOfDirectory, readChartArchive, subchartNames } from './chart-files.js';
import { parseYamlTree, splitDocuments, type YamlMap, type YamlTree } from './yaml-tree.js';

/** A Helm chart. */
export interface Chart {
  /** Where it is: `charts/web`, `charts/web-1.2.3.tgz`. */
  readonly where: string;
  readonly name: string;
  /** `library` charts render nothing themselves. */
  readonly library: boolean;
  readonly appVersion: string | undefined;
  readonly dependencies: readonly ChartDependency[];
  readonly files: ChartFiles;
}

/** An entry of `dependencies` in Chart.yaml. */
export interface ChartDependency {
  readonly name: string;
  readonly alias: string | undefined;
  /** Paths of values, any of which turns the subchart on or off: `db.enabled,global.db`. */
  readonly condition: string | undefined;
}

/**
 * Makes a chart of its files.
 * @throws SlipwayError E_UNSUPPORTED when its Chart.yaml cannot be read, naming line and column.
 */
export function chartFrom(files: ChartFiles, where: string): Chart {
  const root = readYamlFile(files.get('Chart.yaml') ?? Buffer.alloc(0), `${where}/Chart.yaml`);
  const dependencies = root?.entries.get('dependencies');
  return {
    where,
    name: textOf(root, 'name') ?? where.slice(where.lastIndexOf('/') + 1),
    library: textOf(root, 'type') === 'library',
    appVersion: textOf(root, 'appVersion'),
    dependencies:
      dependencies?.kind !== 'list'
        ? []
        : dependencies.items.flatMap((item) => {
            const name = item.kind === 'map' ? textOf(item, 'name') : undefined;
            if (item.kind !== 'map' || name === undefined) return [];
            return [{ name, alias: textOf(item, 'alias'), condition: textOf(item, 'condition') }];
          }),
    files,
  };
}

/** The charts that a chart holds in `charts/`, as directories or archives. */
export async function subcharts(chart: Chart): Promise<Chart[]> {
  const charts: Chart[] = [];
  for (const name of subchartNames(chart.files)) {
    const where = `${chart.where}/charts/${name}`;
    const packed = chart.files.get(`charts/${name}`);
    const files =
      packed === undefined ? filesOfDirectory(chart.files, `charts/${name}`) : await readChartArchive(packed, where);
    if (files !== undefined) charts.push(chartFrom(files, where));
  }
  return charts;
}

/** The first document of a YAML file when it is a map. @throws SlipwayError E_UNSUPPORTED */
export function readYamlFile(bytes: Buffer, where: string): YamlMap | undefined {
  const [first] = splitDocuments(bytes.toString('utf8'));
  if (first === undefined) return undefined;
  const tree = parseYamlTree(first, where);
  return tree?.kind === 'map' ? tree : undefined;
}

/** {@link readYamlFile}; what cannot be read is told to `warn`. */
export function readYamlFileOr(
  bytes: Buffer | undefined,
  where: string,
  warn: (line: string) => void,
): YamlMap | undefined {
  if (bytes === undefined) return undefined;
  try {
    return readYamlFile(bytes, where);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    warn(error.message);
    return undefined;
  }
}

/** A scalar of a map as text; undefined when it is not there or empty. */
export function textOf(map: YamlMap | undefined, key: string): string | undefined {
  const value: YamlTree | undefined = map?.entries.get(key);
  if (value?.kind !== 'scalar' || value.value === null || value.value === undefined || value.value === '')
    return undefined;
  return String(value.value);
}
