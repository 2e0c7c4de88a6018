using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>One finished call of kctl.</summary>
public sealed record KctlResult(CommandResult Command)
{
    public int ExitCode => Command.ExitCode;

    public string Stdout => Command.Stdout;

    public string Stderr => Command.Stderr;

    public KctlResult OrThrow() => ExitCode == 0 ? this : throw new CommandFailedException(Command);

    /// <summary>Standard output as one JSON value.</summary>
    public T Read<T>(JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(Stdout, type) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new JsonException($"Not the JSON of {typeof(T).Name} ({e.Message}): {Command}", e);
        }
    }

    public override string ToString() => Command.ToString();
}
