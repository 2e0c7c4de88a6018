namespace Kcore.Ctl.Output;

/// <summary>Tables may change between releases, JSON and YAML only grow.</summary>
internal enum OutputFormat
{
    Table,
    Wide,
    Json,
    Yaml,

    /// <summary>Bare names, one a line, as other commands take them.</summary>
    Name,
}
