using System.Globalization;

namespace Kcore.Fuzz;

/// <summary>What the command line asks for.</summary>
internal sealed record FuzzOptions
{
    public const string Usage =
        """
        Kcore.Fuzz [--cases N] [--seconds N] [--seed N] [--filter WORD] [--jobs N] [--trx FILE]

        Feeds every reader of bytes from outside with changed valid inputs. A reader may refuse them with the one
        exception it declares; any other, a hang, or memory out of proportion to the input is a failure.

        --cases N     for a cheap target; dear ones get fewer (default 200000, without end where --seconds is given)
        --seconds N   at most, for all targets together
        --seed N      default 1; 0 draws one
        --filter WORD only targets whose name contains the word
        --jobs N      targets at once (default: one per core)
        --trx FILE    leave the results in the form of dotnet test
        """;

    private const long CasesDefault = 200_000;

    private long? CasesGiven { get; init; }

    /// <summary>At most so many, where the time does not end them before.</summary>
    public long Cases => CasesGiven ?? (Time is null ? CasesDefault : long.MaxValue);

    /// <summary>Null: as long as the cases take.</summary>
    public TimeSpan? Time { get; private init; }

    public ulong Seed { get; private init; } = 1;

    public string Filter { get; private init; } = "";

    public int Jobs { get; private init; } = Environment.ProcessorCount;

    public string? Trx { get; private init; }

    /// <summary>Null when the arguments make no sense.</summary>
    public static FuzzOptions? Parse(string[] arguments)
    {
        var options = new FuzzOptions();
        for (int i = 0; i < arguments.Length; i += 2)
        {
            if (i + 1 == arguments.Length)
            {
                return null;
            }

            bool isNumber = ulong.TryParse(arguments[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong number);
            bool isPositive = isNumber && number is > 0 and < int.MaxValue;
            FuzzOptions? next = arguments[i] switch
            {
                "--cases" when isNumber && number is > 0 and < long.MaxValue => options with { CasesGiven = (long)number },
                "--seconds" when isPositive => options with { Time = TimeSpan.FromSeconds(number) },
                "--seed" when isNumber => options with { Seed = number == 0 ? BitConverter.ToUInt64(Guid.NewGuid().ToByteArray()) : number },
                "--filter" => options with { Filter = arguments[i + 1] },
                "--jobs" when isPositive => options with { Jobs = (int)number },
                "--trx" => options with { Trx = arguments[i + 1] },
                _ => null,
            };
            if (next is null)
            {
                return null;
            }

            options = next;
        }

        return options;
    }
}
