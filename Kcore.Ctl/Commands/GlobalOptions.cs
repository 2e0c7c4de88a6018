using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>Options that every command takes.</summary>
internal sealed class GlobalOptions
{
    private readonly Option<string> _socket = new("--socket")
    {
        Description = $"kcored's Unix socket (KCORE_SOCKET; else {Routes.DefaultSocket})",
        HelpName = "PATH",
        Recursive = true,
    };

    private readonly Option<string> _output = new("--output", "-o")
    {
        Description = "table, wide, json, yaml or name",
        HelpName = "FORMAT",
        Recursive = true,
    };

    public void AddTo(RootCommand root)
    {
        root.Add(_socket);
        root.Add(_output);
    }

    public string SocketPath(ParseResult parsed, Func<string, string?> variable) =>
        parsed.GetValue(_socket) is { Length: > 0 } flag ? flag
        : variable("KCORE_SOCKET") is { Length: > 0 } fromEnvironment ? fromEnvironment
        : Routes.DefaultSocket;

    public OutputFormat Format(ParseResult parsed) => parsed.GetValue(_output) switch
    {
        null or "table" => OutputFormat.Table,
        "wide" => OutputFormat.Wide,
        "json" => OutputFormat.Json,
        "yaml" => OutputFormat.Yaml,
        "name" => OutputFormat.Name,
        var other => throw CommandFailure.Invalid($"unknown output format '{other}'", "-o table|wide|json|yaml|name"),
    };

    /// <summary>Errors of a command line that cannot be read still honour <c>-o json</c> where that much is readable.</summary>
    public OutputFormat FormatForErrors(ParseResult parsed) =>
        parsed.GetResult(_output) is { Errors: var errors } && !errors.Any() && parsed.GetValue(_output) == "json"
            ? OutputFormat.Json
            : OutputFormat.Table;
}
