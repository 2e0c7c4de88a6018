using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Storage;

/// <summary>One parametrised statement; values are bound as <c>$0</c>, <c>$1</c>, …, never spliced into the text.</summary>
internal static class SqlStatement
{
    public static void Run(SqliteConnection connection, string sql, params ReadOnlySpan<object> values)
    {
        using SqliteCommand command = Prepare(connection, sql, values);
        command.ExecuteNonQuery();
    }

    /// <summary>The same for many rows: the text is read once.</summary>
    /// <param name="rows">Values of one row each, always as many.</param>
    public static void RunEach(SqliteConnection connection, string sql, IEnumerable<object[]> rows)
    {
        SqliteCommand? command = null;
        try
        {
            foreach (object[] values in rows)
            {
                if (command is null)
                {
                    command = Prepare(connection, sql, values);
                    command.Prepare();
                }
                else
                {
                    for (int i = 0; i < values.Length; i++)
                    {
                        command.Parameters[i].Value = values[i];
                    }
                }

                command.ExecuteNonQuery();
            }
        }
        finally
        {
            command?.Dispose();
        }
    }

    public static List<T> Query<T>(SqliteConnection connection, string sql, Func<SqliteDataReader, T> row, params ReadOnlySpan<object> values)
    {
        using SqliteCommand command = Prepare(connection, sql, values);
        using SqliteDataReader reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
        {
            rows.Add(row(reader));
        }

        return rows;
    }

    private static SqliteCommand Prepare(SqliteConnection connection, string sql, ReadOnlySpan<object> values)
    {
        SqliteCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // Every caller passes a constant; the values are bound below.
        command.CommandText = sql;
#pragma warning restore CA2100
        for (int i = 0; i < values.Length; i++)
        {
            command.Parameters.AddWithValue($"${i}", values[i]);
        }

        return command;
    }
}
